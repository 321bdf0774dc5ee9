/** Runs what must not keep others from running when it throws. */
export type Safely = (action: () => void) => void;

export const safelyWith =
  (onUnexpected: (error: unknown) => void): Safely =>
  (action) => {
    try {
      action();
    } catch (error) {
      onUnexpected(error);
    }
  };
