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


def prepare_database(uri: str, file: Path | None, artifacts: Path) -> None:
    """Create an SQLite database that is missing, or look at the schema of one that is there.

    Args:
        file: of an SQLite database; None for a database server.
        artifacts: the folder of all artifacts.

    Raises:
        UserError: the schema is not that of the installed MLflow, which would migrate it or fail at it.
    """
    if file is not None and not (file.exists() and file.stat().st_size):
        with atomic_path(file) as temporary:
            SqlAlchemyStore(f"sqlite:///{temporary}", str(artifacts)).engine.dispose()
        return
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
        raise UserError(
            f"the MLflow database {uri} has schema {found}, but mlflow {mlflow.__version__} needs {expected}: "
            "install the mlflow that wrote it, or move the database away and run `modescope sync`"
        )


def _expected_schema() -> str:
    """The newest of the migrations that come with the installed MLflow."""
    return ScriptDirectory(str(Path(mlflow.store.db_migrations.__file__).parent)).get_current_head()
