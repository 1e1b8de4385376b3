"""The values of the gates' contract, and the limit that several gates take from real samples."""
