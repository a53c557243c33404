"""When a deployment may begin: windows and freezes in a zone's own time. Pure: the moment is always passed in."""

from gate.schedule.calendar import Calendar, Freeze, Span
from gate.schedule.windows import Window

__all__ = ["Calendar", "Freeze", "Span", "Window"]
