/*
 * Jest knows how long a test file takes only where it ran before. In a new clone, files that take minutes would start last, and one worker
 * would wait for the other: folders whose tests wait for processes, networks and clocks come first.
 */
const { default: Sequencer } = require('@jest/test-sequencer')

const first = [
  '/crash/',
  '/network/',
  'postgres-clocks',
  '/soak/',
  '/contract/',
  '/packaging/',
  '/flood/',
  '/properties/',
]

function rank({ path }) {
  const index = first.findIndex((part) => path.includes(part))
  return index === -1 ? first.length : index
}

module.exports = class extends Sequencer {
  sort(tests) {
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b))
  }
}
