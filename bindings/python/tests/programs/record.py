"""record.py N: a host as its README shows it; prints its counters as JSON."""
import json
import sys

import ailive

with ailive.open(component="execution_watch", run_id="paper_7") as client:
    for _ in range(int(sys.argv[1])):
        client.decision("reject", reason="risk_limit", latency=0.002, action="none")
    client.action("fill")
    client.stage("order_router", 0.0004)
    client.flush(60.0)
    print(json.dumps(client.stats()._asdict()))
