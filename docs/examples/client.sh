# Functions for the examples: source this file, then call `login` and `sql`.
# KALAMDB_URL is the address of the server, http://127.0.0.1:8080 unless set.
KALAMDB_URL=${KALAMDB_URL:-http://127.0.0.1:8080}

# login USER PASSWORD: signs in; statements run as that user from here on.
login() {
  TOKEN=$(curl -sS --fail-with-body "$KALAMDB_URL/v1/api/auth/login" \
    -H 'Content-Type: application/json' \
    -d "{\"user\":\"$1\",\"password\":\"$2\"}" |
    sed -E 's/.*"access_token":"([^"]*)".*/\1/')
}

# sql STATEMENT [PARAMETERS]: prints the answer on one line. PARAMETERS is a JSON array for $1, $2, …
# The statement stands inside a JSON string: no double quotes, and backslashes only as JSON escapes.
sql() {
  curl -sS "$KALAMDB_URL/v1/api/sql" \
    -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' \
    -d "{\"sql\":\"$(printf '%s' "$1" | tr '\n' ' ')\",\"params\":${2:-[]}}"
  echo
}
