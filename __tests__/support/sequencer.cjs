/*
 * Runs slow folders first: those whose tests wait for processes, networks and clocks. Jest itself knows the time of a test file only from an
 * earlier run. In a new clone a file that takes minutes could start last, and one worker would run it while the others are idle.
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
