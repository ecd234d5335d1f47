/** What was used to log in somewhere, in every form in which it may come back in a text; the longest first. */
let known: string[] = [];
const MOST = 2000;
/** A shorter one is in too many words to be masked by its value. */
const SHORTEST = 4;

/**
 * Takes note of a secret, so that {@link redact} masks it wherever it stands.
 * @param unlike what is no secret: a password that is also the user's name is shown as that name everywhere
 */
export function rememberSecret(secret: string | undefined, unlike: readonly unknown[] = []): void {
  if (!secret || secret.length < SHORTEST || unlike.includes(secret) || known.includes(secret)) return;
  const forms = [
    secret,
    ...encodings(secret),
    secret.replaceAll("'", "''"),
    secret.replaceAll(/['\\]/g, String.raw`\$&`),
    secret.replaceAll("'", String.raw`'\''`),
    JSON.stringify(secret).slice(1, -1),
  ];
  known = [...new Set([...forms, ...known])].slice(0, MOST).sort((a, b) => b.length - a.length);
}

/** Takes note of the passwords in a connection URL, as they stand there and decoded. */
export function rememberUrl(url: string): void {
  const [, user = '', password, place = ''] = /^[a-z]+:\/\/([^:/?#@]*)(?::(.*))?@([^@]*)$/is.exec(url) ?? [];
  const [, host, database] = /^([^:/?]*)[^/?]*\/?([^?]*)/.exec(place) ?? [];
  const query = [...url.matchAll(/[?&](?:ssl)?password=([^&#]*)/gi)].map((match) => match[1]);
  for (const secret of [password, ...query]) {
    rememberSecret(secret, [user, host, database]);
    rememberSecret(decode(secret), [decode(user), host, decode(database)]);
  }
}

/**
 * Takes passwords out of a text: those that are known by their value; those of a connection URL, a libpq keyword
 * string, a quoted setting, or SQL by their position. Of SQL as many stars, so that a caret below stays in its place.
 */
export function redact(text: string): string {
  let masked = text;
  for (const secret of known) if (masked.includes(secret)) masked = masked.replaceAll(secret, '***');
  return masked
    .replace(/(\bpostgres(?:ql)?:\/\/[^\s:/?#@]*):(?:(?!:\/\/)[^\n])*@/gi, '$1:***@')
    .replace(/(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/?#@]*):\S*@/gi, '$1:***@')
    .replace(/\b((?:ssl|pg)?password)(\s*=\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&]+)/gi, '$1$2***')
    .replace(/(\b(?:ssl|pg)?password["']?\s*:\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)/gi, '$1***')
    .replace(/\b(password\s+e')((?:[^'\\]|''|\\.)*)'/gi, stars)
    .replace(/\b(password\s+')((?:[^']|'')*)'/gi, stars);
}

function stars(_: string, before: string, secret: string): string {
  return `${before}${'*'.repeat(secret.length)}'`;
}

/** Percent-encoded as JavaScript, forms and libpq's users do it: with more or fewer characters left plain. */
function encodings(text: string): string[] {
  const plain = encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, ''));
  const byte = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return [plain, plain.replaceAll(/[!'()*]/g, byte)].flatMap((each) => {
    const small = each.replaceAll(/%[\dA-F]{2}/g, (escape) => escape.toLowerCase());
    return [each, small, each.replaceAll('%20', '+'), small.replaceAll('%20', '+')];
  });
}

function decode(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}
