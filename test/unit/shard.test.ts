import { describe, expect, test } from 'vitest';
import { parseShard, shardFrom } from '../../src/config/shard.ts';

describe('--shard', () => {
  test('fleet 12: a slice of so many, from 1', () => {
    expect(parseShard('2/8')).toEqual({ index: 2, of: 8 });
    for (const wrong of ['', '0/8', '9/8', '2', '2/0', '-1/8', '2/8/1', 'a/b', '1/10000000']) {
      expect(() => parseShard(wrong)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });

  test.each([
    ['ours', { MPM_SHARD: '2/8', CI_NODE_INDEX: '5', CI_NODE_TOTAL: '6' }, '2/8'],
    ['GitHub Actions', { MPM_SHARD_INDEX: '0', MPM_SHARD_TOTAL: '8' }, '1/8'],
    ['GitLab', { CI_NODE_INDEX: '8', CI_NODE_TOTAL: '8' }, '8/8'],
    ['Buildkite', { BUILDKITE_PARALLEL_JOB: '7', BUILDKITE_PARALLEL_JOB_COUNT: '8' }, '8/8'],
    ['CircleCI', { CIRCLE_NODE_INDEX: '1', CIRCLE_NODE_TOTAL: '4' }, '2/4'],
    ['Kubernetes', { JOB_COMPLETION_INDEX: '3', MPM_SHARD_TOTAL: '4' }, '4/4'],
  ])('fleet 12: auto, as %s says it', (_, env, shard) => {
    expect(shardFrom('auto', env)).toBe(shard);
  });

  test('fleet 12: auto where nothing says it, or half of it, is an error: a slice too few is a fleet half migrated', () => {
    const halves = [
      {},
      { JOB_COMPLETION_INDEX: '3' },
      { CI_NODE_INDEX: '9', CI_NODE_TOTAL: '8' },
      { MPM_SHARD: 'x' },
    ];
    for (const env of halves) {
      expect(() => shardFrom('auto', env)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });
});
