"""The environment file as types: frozen, validated once, each key with its meaning; one file for each part of it.

How a table becomes one of these is ``gate.config.parsing``; reading files is ``gate.environments``.
"""

from gate.config.database import AlembicTool, BackupCommands, CommandTool, Database, DjangoTool, SqlTool
from gate.config.engines import CommandSettings, ContainerSettings, DockerSettings, SwarmSettings
from gate.config.environment import Environment
from gate.config.judging import RuleRow
from gate.config.keeping import Port, Stack
from gate.config.services import Limits, Service

__all__ = [
    "AlembicTool",
    "BackupCommands",
    "CommandSettings",
    "CommandTool",
    "ContainerSettings",
    "Database",
    "DjangoTool",
    "DockerSettings",
    "Environment",
    "Limits",
    "Port",
    "RuleRow",
    "Service",
    "SqlTool",
    "Stack",
    "SwarmSettings",
]
