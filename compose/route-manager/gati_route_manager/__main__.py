"""Starts route-manager: `python -m gati_route_manager`.

Exit 0 after SIGTERM, 1 when it cannot serve, 2 for bad configuration.
"""

from __future__ import annotations

import sys

from gati_common.stopping import hold_signals


def main() -> int:
    hold_signals()  # before the modules that take their time
    import asyncio
    import logging
    import os

    from gati_common.environment import SettingsError

    from gati_route_manager.routes import RoutesError
    from gati_route_manager.server import serve
    from gati_route_manager.settings import load_settings

    try:
        settings = load_settings(os.environ)
        logging.basicConfig(
            level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        return asyncio.run(serve(settings))
    except (SettingsError, RoutesError) as error:
        print(f"route-manager: configuration refused: {error}", file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(f"route-manager: cannot serve: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
