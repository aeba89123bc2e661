"""Where the broker is: the tutorials say localhost, the tests say AMQP=host:port."""

import os

import pika


def connect():
    host, port = os.environ["AMQP"].rsplit(":", 1)
    return pika.BlockingConnection(pika.ConnectionParameters(host=host, port=int(port)))
