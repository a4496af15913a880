"""`python -m services.simulator`: runs the simulator."""

import sys

from services.simulator.server import main

sys.exit(main())
