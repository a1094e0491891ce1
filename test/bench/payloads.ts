/** The requests every server gets, byte for byte alike. */
import type { LoadRequest } from './load.js';

/** ≈ 300 bytes. */
const CONTENT = 'The quick brown fox jumps over the lazy dog, again. '.repeat(6).slice(0, 300);

/** The header of a key. */
export function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}

/** One send for each room. */
export function messagesTo(roomIds: readonly string[]): LoadRequest[] {
  return roomIds.map((room_id) => ({
    method: 'POST',
    path: '/api/v1/messages',
    body: JSON.stringify({ room_id, content: CONTENT, message_type: 'text' }),
  }));
}

/** The path of a page of 20, continued after the cursor when there is one. */
export function pageOf(roomId: string, cursor = ''): string {
  return `/api/v1/messages?room_id=${roomId}&size=20${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
}
