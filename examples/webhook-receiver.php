<?php
// A receiver of webhooks in PHP, with nothing beside PHP itself.
// Usage: WEBHOOK_SECRET=whsec_... php -S 127.0.0.1:9000 webhook-receiver.php

const TOLERANCE_SECONDS = 300;

/** Whether the body was signed with our secret, not long ago. */
function isGenuine(string $secret, string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        return false;
    }
    $key = base64_decode(substr($secret, strlen('whsec_')));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    // One signature per secret: two while a secret is being replaced.
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}

// The raw bytes, as they came: JSON that was parsed and written again has another signature.
$body = file_get_contents('php://input');
if (!isGenuine(getenv('WEBHOOK_SECRET'), $body)) {
    http_response_code(401);
    exit;
}
$event = json_decode($body, true, 512, JSON_THROW_ON_ERROR);
// Yours remembers $_SERVER['HTTP_WEBHOOK_ID'] in a table with a unique key, and skips what it has seen.
file_put_contents('php://stdout', "{$event['event']} {$event['id']}\n");
http_response_code(204);
