#!/usr/bin/env python
"""Compare deep-metric-learning methods: `python run_benchmark.py --methods ms,xbm,nca --dataset cub`."""

import sys

from harness.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
