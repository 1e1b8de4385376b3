"""The steps: one verb a file, a public function and the frozen report that it returns."""
