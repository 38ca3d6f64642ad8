"""Write the network to OUT/network.json, if it sorts.

python build.py OUT
"""

import json
import sys
from pathlib import Path

from check import WIRES, find_unsorted
from network import comparators

network = [list(pair) for pair in comparators(WIRES)]
if unsorted := find_unsorted(network):
    sys.exit(f"{len(network)} comparators do not sort {unsorted}")
Path(sys.argv[1], "network.json").write_text(json.dumps(network))
