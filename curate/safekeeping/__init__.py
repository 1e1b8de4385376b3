"""Backups of a workspace: each file once, by its content, under a manifest that is replaced last."""
