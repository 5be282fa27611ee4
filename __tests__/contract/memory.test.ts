import { memoryInbox } from '../../lib/index.js'
import { describeConversions } from './conversions.js'
import { describeErasing } from './erasing.js'
import { describeHostile } from './hostile.js'
import type { Kind } from './inboxes.js'
import { describeOperators } from './operators.js'

const memory: Kind = {
  isDurable: false,
  runs: 100,
  storage: () => Promise.resolve({ open: () => Promise.resolve(memoryInbox()), dispose: () => Promise.resolve() }),
}

describe('memoryInbox', () => {
  describe('conversions', () => describeConversions(memory))
  describe('operators', () => describeOperators(memory))
  describe('erasing', () => describeErasing(memory))
  describe('hostile arguments', () => describeHostile(memory))
})
