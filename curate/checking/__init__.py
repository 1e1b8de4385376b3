"""The invariants of a workspace, proved anew."""
