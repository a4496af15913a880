"""`python -m simulator`: runs the simulator."""

import sys

from simulator.server import main

sys.exit(main())
