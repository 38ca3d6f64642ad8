"""Make and read data sets: corpus, tokenizer input, packed rows."""
