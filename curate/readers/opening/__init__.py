"""From what the user named to open streams: files, folders, archives, compression."""
