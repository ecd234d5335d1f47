/** What stands for a NUL or a lone surrogate in JSON. */
const UNFIT = /\\u(?:0000|d[89a-f])/;

/** JSON that jsonb takes: NUL and lone surrogates, which error messages may hold, become U+FFFD. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value);
  if (!UNFIT.test(text)) return text;
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' ? part.replace(/\0|\p{Surrogate}/gu, '\uFFFD') : part,
  );
}
