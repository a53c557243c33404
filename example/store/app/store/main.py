"""What uvicorn starts: `store.main:app`."""

from __future__ import annotations

import logging
import os

from . import logs, settings
from .api import api
from .envelope import Envelope

logs.configure()
try:
    api.state.settings = settings.read(os.environ)
except settings.SettingsError as error:
    logging.getLogger(__name__).critical(str(error))
    raise SystemExit(2) from None

app = Envelope(api, api.state.traffic)
