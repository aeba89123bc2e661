"""The cases of the matrix: each a function that says and hears things on fresh connections. `case` gives it its name."""

CASES = {}


def case(name):
    def keep(function):
        assert name not in CASES, f"two cases are called {name!r}"
        CASES[name] = function
        return function

    return keep


def each(name, values):
    """One case a value: `name {key}`, called with the case and the value."""

    def keep(function):
        for key, value in values.items() if isinstance(values, dict) else ((str(one), one) for one in values):
            case(f"{name.rstrip(':, ')}: {key}")(lambda t, value=value: function(t, value))
        return function
        return function

    return keep
