"""Consul's API by py-consul, unchanged: register, TTL check, blocking query, KV with cas.

Usage: consul_client.py HOST PORT; ends with 0 and a line `ok`, or with the traceback of what did not hold.
"""

import sys
import threading
import time

import consul

host, port = sys.argv[1], int(sys.argv[2])
c = consul.Consul(host=host, port=port)


def passing(index=None, wait=None):
    return c.health.service("shop", passing=True, index=index, wait=wait)


def later(action):
    """Runs it once the query before it is surely under way; the query's own wait is far longer."""
    timer = threading.Timer(0.3, action)
    timer.start()
    return timer


# Registration with a TTL check: critical until it reports.
assert c.agent.service.register(
    "shop", service_id="shop-1", port=8080, tags=["v1"], check=consul.Check.ttl("60s")
)
assert c.agent.services()["shop-1"]["Port"] == 8080
index, nodes = passing()
assert nodes == [] and int(index) > 0, (index, nodes)

# The blocking query wakes by the report, long before its wait is over.
started = time.monotonic()
later(lambda: consul.Consul(host=host, port=port).agent.check.ttl_pass("service:shop-1"))
index, nodes = passing(index=index, wait="60s")
assert time.monotonic() - started < 20, "it did not wake"
assert [n["Service"]["ID"] for n in nodes] == ["shop-1"], nodes
assert nodes[0]["Service"]["Port"] == 8080 and nodes[0]["Service"]["Tags"] == ["v1"]
assert {check["Status"] for check in nodes[0]["Checks"]} == {"passing"}

# And by its going away.
later(lambda: consul.Consul(host=host, port=port).agent.service.deregister("shop-1"))
index, nodes = passing(index=index, wait="60s")
assert nodes == [], nodes

# The catalog, of another node.
assert c.catalog.register("db-node", "10.0.0.9", service={"service": "db", "port": 5432})
_, services = c.catalog.services()
assert "db" in services, services
_, db = c.catalog.service("db")
assert (db[0]["Node"], db[0]["Address"], db[0]["ServicePort"]) == ("db-node", "10.0.0.9", 5432), db
assert c.catalog.deregister("db-node")
assert c.catalog.service("db")[1] == []

# Pairs: write, read, compare and set, blocking read, list, delete.
index, pair = c.kv.get("config/colour")
assert pair is None
assert c.kv.put("config/colour", "green", cas=0)
assert not c.kv.put("config/colour", "blue", cas=0)
index, pair = c.kv.get("config/colour")
assert pair["Value"] == b"green", pair
later(lambda: consul.Consul(host=host, port=port).kv.put("config/colour", "red", cas=pair["ModifyIndex"]))
index, changed = c.kv.get("config/colour", index=index, wait="60s")
assert changed["Value"] == b"red" and changed["ModifyIndex"] > pair["ModifyIndex"], changed
assert not c.kv.put("config/colour", "blue", cas=pair["ModifyIndex"])
assert c.kv.put("config/size", "9", flags=7)
_, pairs = c.kv.get("config/", recurse=True)
assert [(p["Key"], p["Flags"]) for p in pairs] == [("config/colour", 0), ("config/size", 7)], pairs
_, keys = c.kv.get("con", keys=True, separator="/")
assert keys == ["config/"], keys
assert c.kv.delete("config/", recurse=True)
assert c.kv.get("config/", recurse=True)[1] is None

# Who answers.
assert c.status.leader() and c.status.peers()
assert c.agent.self()["Config"]["Datacenter"] == "dc1"
assert c.catalog.datacenters() == ["dc1"]
print("ok")
