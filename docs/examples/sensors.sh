#!/usr/bin/env bash
# Sensors: a stream of readings that expires, and metrics that stay.
# KALAMDB_ROOT_PASSWORD must be set. Prints the answer of each statement on one line.
set -euo pipefail
. "$(dirname "$0")/client.sh"

login root "$KALAMDB_ROOT_PASSWORD"
sql "CREATE NAMESPACE iot"
sql "CREATE STREAM TABLE iot.readings (
       sensor_id TEXT PRIMARY KEY,
       timestamp TIMESTAMP DEFAULT NOW(),
       temperature DOUBLE NOT NULL
     ) WITH (TTL_SECONDS=60)"
sql "CREATE SHARED TABLE iot.metrics (
       hour TIMESTAMP,
       sensor_id TEXT,
       average DOUBLE NOT NULL,
       PRIMARY KEY (hour, sensor_id)
     ) WITH (ACCESS_LEVEL='PUBLIC')"
sql "CREATE USER 'collector' WITH PASSWORD 'Thermometer-42' ROLE 'service'"

login collector Thermometer-42
sql "INSERT INTO iot.readings (sensor_id, temperature) VALUES ('kitchen', 20.5), ('cellar', 11.25), ('kitchen', 21.5)"
sql "SELECT sensor_id, count(*) AS readings, avg(temperature) AS average
       FROM iot.readings WHERE timestamp > NOW() - INTERVAL '1 minute' GROUP BY sensor_id ORDER BY sensor_id"
sql "INSERT INTO iot.metrics (hour, sensor_id, average)
       SELECT TIMESTAMP '2030-01-01 10:00:00', sensor_id, avg(temperature) FROM iot.readings GROUP BY sensor_id"
sql "SELECT sensor_id, average FROM iot.metrics WHERE hour = '2030-01-01T10:00:00' ORDER BY sensor_id"
