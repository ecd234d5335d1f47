import { expect, test } from 'vitest';
import { githubAnnotations, githubSummary } from '../../src/ui/report/github.ts';
import { duplicateColumn, runReport, tenant } from '../helpers/samples.ts';

const tenants = Array.from({ length: 7 }, (_, index) => tenant(`grid-${index + 1}`));
const report = runReport({
  counts: { ...runReport().counts, total: 10, migrated: 2, failed: 8 },
  failures: [
    { error: duplicateColumn, count: 7, tenants },
    { error: { code: 'CONNECTION', message: 'a | b\n100% <lost>' }, count: 1, tenants: [tenant('a_b')] },
  ],
});

test('one ::error per group of equal failures, at the place in the file, escaped', () => {
  expect(githubAnnotations(report, (path) => path.replace('/app/', ''))).toBe(
    '::error file=migrations/core/20260814091200_add_meter_status.sql,line=4,col=3,' +
      'title=7 tenants failed the same way%3A 20260814091200_add_meter_status::' +
      'column "status" of relation "meters" already exists%0A' +
      'grid-1, grid-2, grid-3, grid-4, grid-5 and 2 more%0Ampm-migrate verify --tenant 1\n' +
      '::error title=a_b::a | b%0A100%25 <lost>\n',
  );
});

test('the step summary: counts, and a row per group', () => {
  expect(githubSummary(report)).toBe(`### mpm-migrate up, run 184

10 tenants in 17.3s

| migrated | failed |
| ---: | ---: |
| 2 | 8 |

| Tenants | Migration | Error |
| --- | --- | --- |
| grid-1, grid-2, grid-3, grid-4, grid-5 and 2 more | 20260814091200\\_add\\_meter\\_status | column "status" of relation "meters" already exists |
| a\\_b |  | a \\| b<br>100% &lt;lost> |

`);
});
