import { expect, test } from 'vitest';
import type { TableImpact } from '../../src/engine/impact/impact.ts';
import { Impacts } from '../../src/fleet/report/impacts.ts';
import { parseSize, sizeText } from '../../src/size.ts';
import { themeFor } from '../../src/ui/theme.ts';
import { impactBlocks } from '../../src/ui/views/impact.ts';

const MB = 1024 ** 2;
const widening: Omit<TableImpact, 'bytes'> = {
  migration: '3_wide',
  statement: 'alter table orders alter id type bigint',
  table: 'orders',
  lock: 'ACCESS EXCLUSIVE',
  rewrites: 'yes',
  scans: 'no',
};

test('confidence 3: what a statement does is one line for all tenants, the largest named; disk for so many at once', () => {
  const impacts = new Impacts('version');
  const sizes = [
    ...Array<number>(1180).fill(2 * MB),
    ...Array<number>(17).fill(20 * MB),
    2048 * MB,
    3 * 1024 * MB,
    14 * 1024 * MB,
  ];
  for (const [at, bytes] of sizes.entries()) {
    const tenant = {
      id: String(at),
      name: bytes > 9999 * MB ? 'kivu-grid' : `t${at}`,
      database: `t${at}`,
      server: 'eu-1',
    };
    const index = {
      ...widening,
      migration: '4_index',
      statement: 'create index on orders (at)',
      lock: 'SHARE',
      rewrites: 'no',
      scans: 'yes',
    } as const;
    const unknown = at === 0 ? [{ migration: '5_do', what: 'do' }] : [];
    impacts.add(
      tenant,
      {
        tables: [
          { ...index, bytes },
          { ...widening, bytes },
        ],
        unknown,
      },
      2,
    );
  }
  const report = impacts.report();
  expect(report.servers).toEqual([
    {
      server: 'eu-1',
      rewritten: sizes.reduce((sum, bytes) => sum + bytes, 0),
      concurrency: 2,
      disk: 17 * 1024 * MB,
      more: true,
    },
  ]);
  expect(report.groups[0]?.largest).toHaveLength(5);
  expect(impactBlocks(report, themeFor({}, { NO_COLOR: '1' }))).toEqual([
    [
      '3_wide: alter table orders alter id type bigint',
      '    rewrites orders under ACCESS EXCLUSIVE: 1,180 tenants under 10 MB, 17 to 1 GB, 3 over: kivu-grid 14 GB, t1198 3 GB, t1197 2 GB',
      '4_index: create index on orders (at)',
      '    reads all of orders under SHARE: 1,180 tenants under 10 MB, 17 to 1 GB, 3 over: kivu-grid 14 GB, t1198 3 GB, t1197 2 GB',
    ],
    ['▲ 5_do: not known what it does: do (1 tenant)'],
    ['eu-1: rewrites at least 21.6 GB, and needs at least 17 GB more disk at 2 at once'],
  ]);
});

test('a size is read as it is written', () => {
  for (const [text, bytes] of [
    ['1GB', 1024 ** 3],
    ['1.5 kB', 1536],
    ['10mb', 10 * MB],
    ['7', 7],
    ['GB', undefined],
    ['1 XB', undefined],
    [-1, undefined],
  ] as const)
    expect([text, parseSize(text)]).toEqual([text, bytes]);
  expect([0, 1023, 1536, 2 * MB, 14.25 * 1024 * MB].map(sizeText)).toEqual([
    '0 bytes',
    '1023 bytes',
    '2 kB',
    '2 MB',
    '14.3 GB',
  ]);
});
