#!/usr/bin/env bash
# Software as a service: each tenant is a user, the same statements give each its own rows.
# KALAMDB_ROOT_PASSWORD must be set. Prints the answer of each statement on one line.
set -euo pipefail
. "$(dirname "$0")/client.sh"

login root "$KALAMDB_ROOT_PASSWORD"
sql "CREATE NAMESPACE saas"
sql "CREATE TABLE saas.customer_data (
       id BIGINT PRIMARY KEY,
       name TEXT NOT NULL,
       settings JSON,
       balance DECIMAL(12,2) DEFAULT 0
     ) WITH (TYPE='USER', FLUSH_POLICY='rows:10000,interval:600')"
sql "CREATE USER 'tenant_acme' WITH PASSWORD 'SecureKey123!' ROLE 'service'"
sql "CREATE USER 'tenant_globex' WITH PASSWORD 'SecureKey456!' ROLE 'service'"

login tenant_acme 'SecureKey123!'
sql "INSERT INTO saas.customer_data (id, name, balance) VALUES (1, 'Acme customer', 100.50), (2, 'Other', 7)"

login tenant_globex 'SecureKey456!'
sql "INSERT INTO saas.customer_data (id, name) VALUES (1, 'Globex customer')"
sql "SELECT id, name, balance FROM saas.customer_data ORDER BY id"

login root "$KALAMDB_ROOT_PASSWORD"
sql "SELECT count(*) AS n FROM saas.customer_data"
sql "EXECUTE AS USER 'tenant_acme' (SELECT count(*) AS n, sum(balance) AS total FROM saas.customer_data)"
