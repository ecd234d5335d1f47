import { expect, test } from 'vitest';
import { canRepaint, themeFor } from '../../src/ui/theme.ts';

const terminal = { isTTY: true, columns: 80 };
const file = {};
const paints = (...args: Parameters<typeof themeFor>) => themeFor(...args).bad('x') !== 'x';

test('colour: on a terminal only, unless told otherwise', () => {
  expect(paints(terminal, { TERM: 'xterm-256color' })).toBe(true);
  expect(paints(file, { TERM: 'xterm-256color' })).toBe(false);
  expect(paints(terminal, { TERM: 'dumb' })).toBe(false);
  expect(paints(terminal, { NO_COLOR: '1' })).toBe(false);
  expect(paints(terminal, { NO_COLOR: '' })).toBe(true);
  expect(paints(file, { FORCE_COLOR: '1' })).toBe(true);
  expect(paints(terminal, { FORCE_COLOR: '0' })).toBe(false);
  expect(paints(file, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  expect(paints(file, { FORCE_COLOR: '1' }, { color: false })).toBe(false);
});

test('symbols: ASCII when the locale is known not to be UTF-8', () => {
  const tick = (env: Record<string, string>) => themeFor(terminal, env).symbols.tick;
  expect(tick({})).toBe('✔');
  expect(tick({ LANG: 'en_US.UTF-8' })).toBe('✔');
  expect(tick({ LANG: 'C.utf8' })).toBe('✔');
  expect(tick({ LANG: 'C' })).toBe('+');
  expect(tick({ LANG: 'en_US.UTF-8', LC_ALL: 'POSIX' })).toBe('+');
  const ascii = Object.values(themeFor(terminal, { LANG: 'C' }).symbols)
    .flat()
    .join('');
  expect(ascii).toMatch(/^[\x20-\x7e]+$/);
});

test('a frame is painted on a terminal that can move its cursor', () => {
  expect(canRepaint(terminal, {})).toBe(true);
  expect(canRepaint(file, {})).toBe(false);
  expect(canRepaint(terminal, { TERM: 'dumb' })).toBe(false);
  expect(canRepaint({ isTTY: true, columns: 20 }, {})).toBe(false);
});
