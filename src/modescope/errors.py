"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """Bad input. Its message is one readable line that says what is wrong and what to do (exit code 2)."""
