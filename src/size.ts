const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** How a size is written, for messages. */
export const SIZE_FORM = 'a size like 500MB, 1GB, or 1.5TB';

/** A size: bytes, or text like `500MB`, `1GB`. */
export type Size = number | string;

/** A size in bytes; undefined when it is none. A kB is 1,024 bytes, as PostgreSQL counts. */
export function parseSize(value: Size): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
  const [, amount, unit = 'bytes'] = /^(\d+(?:\.\d+)?) ?([a-z]+)?$/i.exec(value.trim()) ?? [];
  const step = UNITS.findIndex((each) => each.toLowerCase() === unit.toLowerCase());
  return amount === undefined || step < 0 ? undefined : Math.round(Number(amount) * 1024 ** step);
}

/** `14.2 GB`. */
export function sizeText(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log(bytes) / Math.log(1024)));
  const number = (bytes / 1024 ** step).toFixed(step > 1 ? 1 : 0).replace(/\.0$/, '');
  return `${number} ${UNITS[step]}`;
}
