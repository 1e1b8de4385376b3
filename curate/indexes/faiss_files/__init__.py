"""What the indexes over FAISS share: files with a hash, checks of arrays, and the scan of a matrix."""
