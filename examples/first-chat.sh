#!/usr/bin/env bash
# A first chat against a running server: register a client, create a user and a room, send a message, read it back.
# Usage: BASE=http://localhost:8000 examples/first-chat.sh      needs bash, curl and node
set -euo pipefail

BASE="${BASE:-http://localhost:8000}"

# Every call below stops the script when it is not answered with success, and shows the answer.
curl() {
  local body
  if ! body=$(command curl --silent --show-error --fail-with-body "$@"); then
    printf 'The call failed: curl %s\n%s\n' "$(printf '%q ' "$@" | sed -E 's/(ck_live|sk_user)_[0-9A-Za-z_]+/\1_.../g')" "$body" >&2
    return 1
  fi
  printf '%s\n' "$body"
}

# field data.id < answer: prints that field, or stops when the answer does not have it.
field() {
  node -e '
    const path = process.argv[1];
    const answer = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const value = path.split(".").reduce((inner, name) => inner?.[name], answer);
    if (value === undefined || value === null) {
      console.error(`The answer has no ${path}:`, JSON.stringify(answer));
      process.exit(1);
    }
    console.log(value);
  ' "$1"
}

# expect what actual wanted
expect() {
  if [ "$2" != "$3" ]; then
    printf 'Expected %s to be "%s", got "%s"\n' "$1" "$3" "$2" >&2
    exit 1
  fi
}

# --- Register an application: its master key is shown this once -----------------------------------------------------

client=$(curl -X POST "$BASE/api/v1/clients" \
  -H "Content-Type: application/json" \
  -d '{"name": "First chat"}')
CLIENT_KEY=$(field data.master_api_key <<<"$client")
echo "Registered client $(field data.id <<<"$client")"

# --- Create a user --------------------------------------------------------------------------------------------------

user=$(curl -X POST "$BASE/api/v1/users" \
  -H "Authorization: Bearer $CLIENT_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "email": "john@example.com",
    "username": "john_doe",
    "full_name": "John Doe"
  }')
USER_ID=$(field data.id <<<"$user")
USER_KEY=$(field data.scoped_api_key <<<"$user")
expect 'the email' "$(field data.email <<<"$user")" 'john@example.com'
expect 'the username' "$(field data.username <<<"$user")" 'john_doe'
expect 'the full name' "$(field data.full_name <<<"$user")" 'John Doe'
echo "Created user $USER_ID"

# --- Create a room, owned by that user ------------------------------------------------------------------------------

room=$(curl -X POST "$BASE/api/v1/rooms" \
  -H "Authorization: Bearer $USER_KEY" \
  -H "Content-Type: application/json" \
  -d '{"name": "General"}')
ROOM_ID=$(field data.id <<<"$room")
echo "Created room $ROOM_ID"

# --- Send a message -------------------------------------------------------------------------------------------------

message=$(curl -X POST "$BASE/api/v1/messages" \
  -H "Authorization: Bearer $USER_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "room_id": "'"$ROOM_ID"'",
    "content": "Hello, everyone!",
    "message_type": "text"
  }')
MESSAGE_ID=$(field data.id <<<"$message")
expect 'the room' "$(field data.room_id <<<"$message")" "$ROOM_ID"
expect 'the sender' "$(field data.sender_id <<<"$message")" "$USER_ID"
expect 'the content' "$(field data.content <<<"$message")" 'Hello, everyone!'
expect 'the type' "$(field data.message_type <<<"$message")" 'text'
echo "Sent message $MESSAGE_ID"

# --- Read it back ---------------------------------------------------------------------------------------------------

messages=$(curl "$BASE/api/v1/messages?room_id=$ROOM_ID" \
  -H "Authorization: Bearer $USER_KEY")
expect 'the total' "$(field pagination.total <<<"$messages")" '1'
expect 'the message read' "$(field data.0.id <<<"$messages")" "$MESSAGE_ID"
echo "Read it back"

# --- Send a notification: only where the server has notifications ---------------------------------------------------

document=$(curl "$BASE/openapi.json")
if node -e '
  const document = JSON.parse(require("fs").readFileSync(0, "utf8"));
  process.exit("/api/v1/notifications" in document.paths ? 0 : 1);
' <<<"$document"; then
  notification=$(curl -X POST "$BASE/api/v1/notifications" \
    -H "Authorization: Bearer $CLIENT_KEY" \
    -H "Content-Type: application/json" \
    -d '{
    "type": "email",
    "to_email": "user@example.com",
    "subject": "Welcome!",
    "content": "<h1>Welcome to our platform!</h1>"
  }')
  echo "Sent notification $(field data.id <<<"$notification")"
else
  echo "This server has no notifications yet"
fi

echo "Done"
