#!/usr/bin/env bash
# The Grafana dashboard against the types of @grafana/schema: for development, since it asks npm. Needs node and npm.
#   bash tests/lint/dashboard_types.sh [FOLDER]     FOLDER keeps what npm brings (33 MB) for the next time
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
if [ $# -gt 0 ]; then mkdir -p "$1" && cd "$1"; else
    cd "$(mktemp -d)" && work=$PWD
    trap 'rm -rf "$work"' EXIT
fi
[ -d node_modules/@grafana/schema ] ||
    npm install --no-audit --no-fund --silent @grafana/schema@10.4.2 typescript@5.4

# One constant a part, so that TypeScript names the part that is wrong and keys that it does not know.
/usr/bin/python3 - "$root/sidecar/ops/grafana/dashboards/peaktrade-execution-watch-overview.json" >check.ts <<'PYTHON'
import json
import sys

RAW = "@grafana/schema/dist/esm/raw/composable"
KINDS = {"stat": "Stat", "bargauge": "BarGauge", "timeseries": "TimeSeries", "table": "Table"}
dashboard = json.load(open(sys.argv[1]))
for annotation in dashboard["annotations"]["list"]:  # the Prometheus data source's own keys, in no schema
    del annotation["expr"], annotation["titleFormat"]
print('import type * as S from "@grafana/schema";')
for kind, name in KINDS.items():
    print(f'import type {{ Options as {name} }} from "{RAW}/{kind}/panelcfg/x/{name}PanelCfg_types.gen";')
print(f'import type {{ PrometheusDataQuery }} from "{RAW}/prometheus/dataquery/x/PrometheusDataQuery_types.gen";')
# JSON has texts where the schema has enumerations of texts.
print("""type Loose<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Loose<U>[] : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;""")
print(f"export const dashboard: Loose<S.Dashboard> = {json.dumps(dashboard)};")
for panel in dashboard["panels"]:
    if panel["type"] in KINDS:
        print(f"export const options{panel['id']}: Partial<Loose<{KINDS[panel['type']]}>> = {json.dumps(panel['options'])};")
    for target in panel.get("targets", []):
        print(f"export const target{panel['id']}{target['refId']}: Loose<PrometheusDataQuery> = {json.dumps(target)};")
PYTHON
npx tsc --noEmit --strict --skipLibCheck --moduleResolution node --target es2020 check.ts
echo "the dashboard has the types of @grafana/schema"
