"""What opens encoded media to look inside."""
