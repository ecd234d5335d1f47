import { expect, test } from 'vitest';
import { parseSummary } from '../../src/engine/history/summary.ts';
import { stampOf } from '../../src/engine/history/stamp.ts';

const line = (...fields: string[]) => `${[...fields, 'core'].join('\t')}\n`;

test('a history is read in the order of its positions, wherever its rows lie', () => {
  const text =
    line('2', '2_b', 'v1:bb', 'applied') +
    line('3', '3_c', 'v1:cc', 'failed') +
    line('1', '1_a', 'v1:aa', 'baseline');
  expect(parseSummary(text)).toEqual({
    ...stampOf([
      { name: '1_a', checksum: 'v1:aa', state: 'baseline' },
      { name: '2_b', checksum: 'v1:bb', state: 'applied' },
      { name: '3_c', checksum: 'v1:cc', state: 'failed' },
    ]),
    last: 3,
    central: false,
    format: 1,
  });
  expect(parseSummary('')).toEqual({ ...stampOf([]), last: 0, central: false, format: 1 });
});

test('engine 28: the history of a central database is known by its rows', () => {
  expect(parseSummary('1\t1_a\tv1:aa\tapplied\tcentral\n').central).toBe(true);
});

test('engine 57: the newest of its rows says which format a history has', () => {
  const row = (at: number, format: number) => `${at}\t${at}_a\tv2:aa\tapplied\tcore\t${format}\n`;
  expect(parseSummary(row(1, 2) + row(2, 3) + row(3, 2)).format).toBe(3);
});

test('what COPY escapes is read as it was', () => {
  const text =
    line('1', String.raw`1_a\\b\tc\nd\re`, 'v1:aa', 'applied') + line('2', '2_ü😀', 'v1:bb', 'applied');
  expect(parseSummary(text)).toMatchObject(
    stampOf([
      { name: '1_a\\b\tc\nd\re', checksum: 'v1:aa', state: 'applied' },
      { name: '2_ü😀', checksum: 'v1:bb', state: 'applied' },
    ]),
  );
});

test('of many different histories each is read for itself', () => {
  const texts = Array.from({ length: 40 }, (_, at) => line(String(at + 1), `${at}_x`, 'v1:aa', 'applied'));
  const first = texts.map(parseSummary);
  expect(texts.map(parseSummary)).toEqual(first);
  expect(new Set(first.map(({ fingerprint }) => fingerprint)).size).toBe(40);
});
