/**
 * What means the tenant of that id and nobody else, as one word of a shell command: an id is meant before any name, and
 * `id:` says it of one that would be read as something else (fleet 37).
 */
export function idWord(id: string): string {
  return shellWord(/^-|^id:|\.\./.test(id) ? `${BY_ID}${id}` : id);
}

/** In front of an id that is to be taken as it is. */
export const BY_ID = 'id:';

/** A text as one word of a shell command. */
export function shellWord(text: string): string {
  return /^[\w.=:@%+,/-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
