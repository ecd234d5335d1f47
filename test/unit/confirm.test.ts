import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { confirmName } from '../../src/cli/confirm.ts';
import { CANCELLING, listenForInterrupts, STOPPING } from '../../src/cli/interrupt.ts';

const question = { name: 'Acme Ltd', what: 'This drops the database acme_ltd.' };

function terminal() {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = Object.assign(new PassThrough(), { isTTY: true });
  const said = (): string => {
    let all = '';
    for (let part: unknown = output.read(); part !== null; part = output.read()) all += String(part);
    return all;
  };
  return { input, output, said };
}

test('off a terminal the name comes from --confirm, and nobody is asked', async () => {
  const { input, output } = terminal();
  input.isTTY = false;
  await expect(confirmName({ ...question, given: undefined, input, output })).rejects.toMatchObject({
    code: 'CONFIRMATION',
    exit: 2,
    hint: "Off a terminal, add: --confirm 'Acme Ltd'",
  });
  await expect(confirmName({ ...question, given: 'acme', input, output })).rejects.toMatchObject({
    message: '--confirm is "acme", not "Acme Ltd": nothing was done',
  });
  await confirmName({ ...question, given: 'Acme Ltd', input, output });
  expect(output.read()).toBeNull();
});

test('on a terminal the name is typed', async () => {
  const right = terminal();
  right.input.write('Acme Ltd\n');
  await confirmName({ ...question, given: undefined, ...right });
  expect(right.said()).toContain('This drops the database acme_ltd.\nType Acme Ltd to go on: ');

  const wrong = terminal();
  wrong.input.write('yes\n');
  await expect(confirmName({ ...question, given: undefined, ...wrong })).rejects.toMatchObject({
    code: 'CONFIRMATION',
    message: 'What was typed is "yes", not "Acme Ltd": nothing was done',
  });
});

test('the end of the input means no', async () => {
  const { input, output } = terminal();
  const answer = confirmName({ ...question, given: undefined, input, output });
  input.end();
  await expect(answer).rejects.toMatchObject({ code: 'CONFIRMATION' });
});

test('fleet 6, engine 61: the first signal stops, the second cancels, the third ends the process', () => {
  const before = process.listenerCount('SIGINT');
  const said: string[] = [];
  const { stop, cancel, release } = listenForInterrupts((line) => said.push(line));
  process.emit('SIGTERM');
  expect([stop.aborted, cancel.aborted]).toEqual([true, false]);
  process.emit('SIGINT');
  expect([stop.aborted, cancel.aborted]).toEqual([true, true]);
  const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  process.emit('SIGINT');
  expect(exit).toHaveBeenCalledWith(130);
  exit.mockRestore();
  expect(said).toEqual([STOPPING, CANCELLING]);
  release();
  expect(process.listenerCount('SIGINT')).toBe(before);
});
