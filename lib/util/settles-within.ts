/** Whether a promise that never rejects settles in time. With `isUnref` a process that has nothing else to do does not wait for that. */
export function settlesWithin(ms: number, promise: Promise<unknown>, { isUnref = false } = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false)
    if (isUnref) timer.unref()
    void promise.then(() => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
