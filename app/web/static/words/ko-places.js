// Korean names of the places in a problem.

export default { all: "문제가 있는 곳: {places}.", row: "{row}행(0부터)", column: "{column} 열" };
