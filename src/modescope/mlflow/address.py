"""Where the MLflow store is, and what to do when it cannot be used."""

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import sqlalchemy
from sqlalchemy.exc import ArgumentError

from modescope.errors import UserError, masked
from modescope.files import root

DATABRICKS = ("databricks", "uc")  # addresses without a scheme that are no folders
DRIVERS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}  # modules whose package has another name
ADVICE = {  # what an SQLite database says -> what to do, with its file
    "is locked": "end what has locked {file}",
    "readonly": "give yourself the right to write {file} and its folder",
    "ermission denied": "give yourself the right to write {file} and its folder",
    "unable to open": "let {file} be a file that you may write",
    "No space": "free some space",
    "is full": "free some space",
    "": "move {file} away",  # garbage, cut off: the runs' own files hold all that it held
}


def store_uri() -> str:
    """`$MLFLOW_TRACKING_URI`, else a database in the repository.

    A relative path is the repository's: a stage may run in a temporary workspace, which DVC deletes.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    file, address = sqlite_file(uri), urlsplit(uri)
    if file is not None:
        return sqlite_uri(file, address.query)
    if address.scheme == "file" or not (address.scheme or uri.startswith(DATABRICKS)):
        return (root() / unquote(address.path)).as_uri()
    return uri


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite database, absolute; None for another store, and for a database in memory."""
    try:
        url = sqlalchemy.make_url(uri)
    except ArgumentError:
        return None
    in_a_file = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:"))
    return (root() / url.database).resolve() if in_a_file else None


def sqlite_uri(file: Path, options: str = "") -> str:
    """The address of an SQLite database.

    Where its path needs quoting the driver is named, too: of `sqlite:///` MLflow takes the quoted path for a folder to
    make.
    """
    quoted = quote(str(file), safe="/ ")
    scheme = "sqlite+pysqlite" if set("%?#") & set(str(file)) else "sqlite"
    return f"{scheme}:///{quoted if scheme != 'sqlite' else file}" + (f"?{options}" if options else "")


def artifact_location(folder: Path) -> str:
    """A folder as MLflow keeps it: its path, or a URL where the path has characters that mean something in one."""
    return folder.as_uri() if set("%?#") & set(str(folder)) else str(folder)


def unreachable(uri: str, error: Exception, command: str = "modescope sync") -> UserError:
    """What the user reads of a store that cannot be used."""
    reason = masked(" ".join(str(error).partition("[SQL:")[0].split()))[:200]
    return UserError(f"the MLflow store {uri} cannot be used ({reason}): {_advice(uri, error)}, then run `{command}`")


def _advice(uri: str, error: Exception) -> str:
    file = sqlite_file(uri)
    if isinstance(error, ModuleNotFoundError):
        return f"`pip install {DRIVERS.get(error.name, error.name)}`"
    if isinstance(error, TimeoutError):
        return "end that process, or wait for it"
    if file is None:
        return "start it or unset MLFLOW_TRACKING_URI"
    return next(advice for words, advice in ADVICE.items() if words in str(error)).format(file=file)
