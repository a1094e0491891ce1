/** The text of a function as a replacement of itself, with a part of it changed; throws when there is no such part. */
export function replacing(create: string, part: string, by: string): string {
  if (!create.includes(part)) throw new Error('There is no such part to replace');
  return create.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION').replace(part, () => by);
}
