/** A start that dies by SIGKILL after one step of its migration. Arguments: Site as JSON, the step. */
import { openAt, type Site } from '../../support/pinned_path.js';

const [site, last] = [JSON.parse(process.argv[2]!) as Site, process.argv[3]!];
openAt(site, (step) => {
  if (step === last) process.kill(process.pid, 'SIGKILL');
});
