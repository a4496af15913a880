"""The version of the tables is that of the last migration, whoever is asked."""

from alembic.config import Config
from alembic.script import ScriptDirectory

from services.ledger.store import revision
from services.ledger.tables_version import MIGRATIONS, newest_revision


def scripts():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_the_newest_version_is_the_head_of_the_migrations():
    assert [newest_revision()] == scripts().get_heads()


def test_the_name_of_each_migration_begins_with_its_version():
    for script in scripts().walk_revisions():
        assert script.path.rpartition("/")[2].partition("_")[0] == script.revision


def test_a_ledger_that_was_opened_is_of_that_version(ledger):
    with ledger.read() as connection:
        assert revision(connection) == newest_revision()
