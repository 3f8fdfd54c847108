"""MLflow's database: made where it is missing, refused where its schema is another."""

from pathlib import Path

import mlflow
import mlflow.store.db_migrations
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import create_sqlalchemy_engine
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from modescope.errors import UserError
from modescope.files import atomic_path
from modescope.mlflow.address import sqlite_uri


class OtherSchema(UserError):
    """A database that the installed MLflow would migrate, or fail at."""


def is_missing(file: Path) -> bool:
    """Whether there is no database in `file` yet."""
    return not file.exists() or (file.is_file() and not file.stat().st_size)


def create_database(file: Path, artifacts: Path) -> None:
    """Make an SQLite database, unless another process has just done so; `artifacts` is the folder of all artifacts."""
    if is_missing(file):
        with atomic_path(file) as temporary:
            SqlAlchemyStore(sqlite_uri(temporary), str(artifacts)).engine.dispose()


def check_schema(uri: str) -> None:
    """Raises OtherSchema if a database's schema is not that of the installed MLflow."""
    engine = create_sqlalchemy_engine(uri)
    try:
        tables = sqlalchemy.inspect(engine).get_table_names()
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    is_empty = all(name.startswith("alembic_") for name in tables)
    expected = _expected_schema()
    if not is_empty and found != expected:
        raise OtherSchema(
            f"the MLflow database {uri} has schema {found}, but mlflow {mlflow.__version__} needs {expected}: "
            "install the mlflow that wrote it, or move the database away and run `modescope sync`"
        )


def _expected_schema() -> str:
    """The newest of the migrations that come with the installed MLflow."""
    return ScriptDirectory(str(Path(mlflow.store.db_migrations.__file__).parent)).get_current_head()
