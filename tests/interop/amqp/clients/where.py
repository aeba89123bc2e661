"""Where the broker is, from the arguments that all of these scripts take."""

import argparse


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--amqp", required=True)
    parser.add_argument("--management")
    found = parser.parse_args()
    found.host, port = found.amqp.rsplit(":", 1)
    found.port = int(port)
    found.url = f"amqp://guest:guest@{found.amqp}/"
    return found
